#!/bin/sh
# Pins the images that others publish by digest: pulls each under its tag and writes what came into
# .env, where docker compose finds it. Run it again to move on to what the tags mean by then.
# IMAGES below are the defaults of docker-compose.yml, compose.acme.yml and the Dockerfile.
set -eu
cd "$(dirname "$0")/.."
IMAGES="
NGINX_IMAGE=nginxinc/nginx-unprivileged:1.28-alpine
REDIS_IMAGE=redis:7.4-alpine
POSTGRES_IMAGE=postgres:17-alpine
CERTBOT_IMAGE=certbot/certbot:v5.1.0
PYTHON_IMAGE=python:3.12-slim
"
touch .env
for line in $IMAGES; do
    variable=${line%%=*}
    image=${line#*=}
    docker pull --quiet "$image" > /dev/null
    digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$image")
    case "$digest" in
        *@sha256:*) ;;
        *) echo "$image: got '$digest', expected NAME@sha256:…; it was not pulled from a registry" >&2
           exit 1 ;;
    esac
    sed -i "/^$variable=/d" .env
    echo "$variable=$image@${digest##*@}" >> .env
    echo "$image is ${digest##*@}"
done
