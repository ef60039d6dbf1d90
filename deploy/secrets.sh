#!/bin/sh
# Makes the passwords that docker-compose.yml asks for, each a file of the folder secrets/. What is
# there stays; what an .env of an earlier release holds is taken over and removed from it.
#
# The folder is closed to everybody but its owner. The files are open, since each container that is
# given one runs as a user of its own.
set -eu
cd "$(dirname "$0")/.."
mkdir -p secrets
chmod 700 secrets
for name in postgres_password redis_password; do
    file="secrets/$name"
    if [ -s "$file" ]; then
        echo "$file is there already"
        continue
    fi
    variable=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    password=""
    if [ -f .env ]; then
        password=$(sed -n "s/^$variable=//p" .env | tail -n 1)
    fi
    if [ -z "$password" ]; then
        password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
        echo "$file: made"
    else
        echo "$file: taken over from .env"
    fi
    printf %s "$password" > "$file"
    chmod 444 "$file"
    if [ -f .env ]; then
        sed -i "/^$variable=/d" .env
    fi
done
