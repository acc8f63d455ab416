#!/usr/bin/env bash
# Puts an image on a Cloud Run service so that a bad one never answers anybody: a revision without traffic,
# a smoke test of it, all traffic to it, a smoke test of the service. Whatever fails, the revision that
# served before has all traffic again and this one has none. Identity, settings, scaling and probes
# are Terraform's (deploy/gcp); only image and traffic change here.
# usage: release.sh SERVICE IMAGE@sha256:DIGEST REGION ACCOUNT TAG
#   ACCOUNT may call the service and make an identity token for itself; TAG names the candidate's address.
set -Eeuo pipefail
service=$1 image=$2 region=$3 account=$4 tag=$5

describe() { # FORMAT: a line for each part of the traffic
    gcloud run services describe "$service" --region="$region" --flatten='status.traffic[]' --format="value($1)"
}

move() { # where traffic and tags go
    gcloud run services update-traffic "$service" --region="$region" --quiet "$@"
}

smoke() { # URL: it is alive, and reaches its bucket
    for path in /health /ready; do
        # A header on standard input, for arguments can be read by other processes. A new address is refused
        # for some seconds, until every front end knows it; one that hangs is not waited for until the build ends.
        curl --silent --show-error --fail --output /dev/null --max-time 60 --retry 12 --retry-delay 5 \
            --retry-max-time 180 --retry-all-errors --header @- "$1$path" <<<"Authorization: Bearer $token"
        echo "$1$path answers"
    done
}

back() {
    ((BASH_SUBSHELL == 0)) || exit 1 # the shell itself sees that its part failed, and goes back once
    trap - ERR INT TERM
    echo "not released: $image; all traffic of $service goes to $before" >&2
    move --to-revisions="$before=100" --remove-tags="$tag"
    exit 1
}

[[ $image == *@sha256:* ]] || { echo "expected an image by its digest, got $image" >&2; exit 1; }
before=$(describe 'status.traffic.percent,status.traffic.revisionName' | awk '$1 == 100 { print $2 }')
[[ $before ]] || { echo "no revision of $service has all of its traffic: give it to one first" >&2; exit 1; }
url=$(describe 'status.url' | head -n 1)
token=$(gcloud auth print-identity-token --impersonate-service-account="$account" --include-email --audiences="$url")

trap back ERR INT TERM # a build that is cancelled as well
gcloud run deploy "$service" --region="$region" --image="$image" --no-traffic --tag="$tag" \
    --no-allow-unauthenticated --quiet
read -r candidate address < <(describe 'status.traffic.tag,status.traffic.revisionName,status.traffic.url' \
    | awk -v tag="$tag" '$1 == tag { print $2, $3 }')
smoke "$address"
move --to-revisions="$candidate=100"
smoke "$url"
# The latest is this one; said so, what Terraform changes next takes effect as well.
move --to-latest --remove-tags="$tag"
echo "released: $image as $candidate"
