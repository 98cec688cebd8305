#!/usr/bin/env bash
# run.sh PORT BACK_END_PORT: Apache Camel with the flows; the first time it is built, for which Maven must reach its repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
[[ -d target/libraries ]] || mvn -q -B package
mkdir -p target/stylesheets
for name in symbol_to_lobmys lobmys_to_symbol; do
    sed '/localEntry/d' "../../scenarios/src/main/wso2mi/artifacts/local-entries/$name.xml" > "target/stylesheets/$name.xsl"
done
exec java -Xmx512m -cp 'target/classes:target/libraries/*' Peer "$1" "$2" "$PWD/target/stylesheets"
