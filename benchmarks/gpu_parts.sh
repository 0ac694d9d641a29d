#!/usr/bin/env bash
# A large file in parts, for a way that takes small ones only, and the file again, checked byte for byte.
#
#   benchmarks/gpu_parts.sh split FILE FOLDER   FOLDER/NAME.part-000, .. of at most PART_BYTES (50,000,000), NAME.sha256
#   benchmarks/gpu_parts.sh join FOLDER         every NAME of which FOLDER holds NAME.sha256
set -euo pipefail

split_file() {
  local file=$1 folder=$2 name
  name=$(basename "$file")
  mkdir -p "$folder"
  rm -f "$folder/$name".part-*
  split --bytes "${PART_BYTES:-50000000}" --numeric-suffixes --suffix-length 3 "$file" "$folder/$name.part-"
  (cd "$(dirname "$file")" && sha256sum "$name") > "$folder/$name.sha256"
}

join_files() {
  local folder=$1 sum name
  for sum in "$folder"/*.sha256; do
    [ -e "$sum" ] || continue
    name=$(basename "$sum" .sha256)
    if [ ! -e "$folder/$name" ]; then
      cat "$folder/$name".part-* > "$folder/$name.joined"
      mv "$folder/$name.joined" "$folder/$name"
    fi
    if ! (cd "$folder" && sha256sum --check --status "$name.sha256"); then
      rm "$folder/$name"
      echo "$folder/$name: the parts make another file than the one that was split; copy them again" >&2
      exit 2
    fi
  done
}

case "${1:-} $#" in
  "split 3") split_file "$2" "$3" ;;
  "join 2") join_files "$2" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
