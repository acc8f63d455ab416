"""`skyblend upload-url`: let somebody upload a file that is too large for the service."""

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.runtime.storage.signed import SignedUpload

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST = timedelta(days=7)


class Span(click.ParamType[timedelta]):
    """A time like 30m, 1h or 7d."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", str(value))
        span = int(found[1]) * _UNITS[found[2]] if found else None
        if span is None or span > _LONGEST:
            self.fail(f"expected a time of at most 7 days like 30m, 1h or 7d, got {value}")
        return span


@click.command()
@click.option("--source", default="", help="Which provider; default: recognised from the content.")
@click.option("--collect", is_flag=True, help="Also ask the providers for the places in the file.")
@click.option(
    "--expires", type=Span(), default="1h", show_default=True, help="How long the URL may be used."
)
@click.option("--resumable", is_flag=True, help="For an upload that goes on where it broke off.")
@click.option("--as", "account", default="", help="Sign as this service account, through IAM.")
@click.argument("file_name", metavar="FILE")
@pass_session
def upload_url(
    session: Session,
    file_name: str,
    *,
    source: str,
    collect: bool,
    expires: timedelta,
    resumable: bool,
    account: str,
) -> None:
    """Print a URL that takes an upload of FILE, and the command that sends it.

    Cloud Run takes at most 32 MiB in a request; what is larger goes into the bucket, and from there
    the same way as any upload. Whoever has the URL needs no account, may send at most
    SKYBLEND_UPLOAD_LIMIT bytes, again until it expires, and can read nothing. The file need not be
    on this machine.

    It is signed with the key of a service account, or, as is better, without a key by IAM: --as an
    account that you may impersonate (roles/iam.serviceAccountTokenCreator) and that may write into
    the bucket.

    \b
      skyblend upload-url history.tar.gz --as skyblend-upload@PROJECT.iam.gserviceaccount.com
    """
    from skyblend.ingest.arrivals import arrival_name
    from skyblend.runtime.settings import GCS
    from skyblend.runtime.storage.signed import sign_upload

    settings = session.settings()
    if settings.storage != GCS:
        raise click.ClickException(
            "SKYBLEND_STORAGE is not gcs, so there is no bucket: `skyblend upload` takes any size"
        )
    signed = sign_upload(
        settings.bucket,
        arrival_name(file_name, source=source, collect=collect),
        project=settings.project,
        limit=settings.upload_limit,
        expires=expires,
        account=account,
        is_resumable=resumable,
    )
    click.echo(signed.url)
    click.echo(f"\n{command(signed, Path(file_name))}")


def command(signed: "SignedUpload", file: Path) -> str:
    """The commands of a shell that send the file."""
    headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in signed.headers.items()]
    asked = " ".join(headers)
    url, sent = shlex.quote(signed.url), shlex.quote(str(file))
    if signed.method == "PUT":
        return f"curl --fail {asked} --upload-file {sent} {url}"
    begun = f"curl --fail -sS -X POST -H 'Content-Length: 0' {asked} -D - -o /dev/null {url}"
    return (
        f"session=$({begun} | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')\n"
        f'curl --fail --upload-file {sent} "$session"'
    )
