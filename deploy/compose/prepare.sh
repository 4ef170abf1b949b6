#!/bin/sh
# Writes deploy/compose/.env with passwords that nobody else has; leaves one that is there alone.
set -eu
folder=${1:-$(dirname "$0")}
file=$folder/.env
if [ -e "$file" ]; then
  echo "$file is there already."
  exit 0
fi
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
while IFS= read -r line; do
  case $line in
    *=CHANGE-ME) echo "${line%CHANGE-ME}$(secret)" ;;
    *) echo "$line" ;;
  esac
done <"$(dirname "$0")/.env.example" >"$file"
echo "wrote $file"
