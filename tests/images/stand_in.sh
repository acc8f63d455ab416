#!/usr/bin/env bash
# Makes a stand-in for the official base image where none can be pulled: a minimal Debian with its own
# Python 3.11, imported as python:3.11-slim. It proves the mechanics of the Dockerfile, not that image. Like
# that one it has the command `python` and no bytecode of the standard library.
# Needs root, debootstrap, and docker with DOCKER_HOST. usage: stand_in.sh FOLDER
set -euo pipefail
root=$1/rootfs
mkdir -p "$1"

[[ -d $root ]] || debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/*
find "$root/usr/lib/python3" "$root/usr/lib/python3.11" -name '*.pyc' -delete
ln -sf /usr/bin/python3 "$root/usr/local/bin/python"

# Whoever is trusted here is trusted while the images are built.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"

tar -C "$root" -c . | docker import - python:3.11-slim
