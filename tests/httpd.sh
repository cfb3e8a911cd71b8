#!/bin/bash
# The article's image, for real: Debian's Apache httpd, about 340 MB in four layers,
# with a secret that one step writes and the next one removes. For
# tests/it/interop_images.rs, and for `cargo bench` (UTH_BENCH_IMAGE=DIR:2.4).
#   httpd.sh DIR    makes DIR, an OCI image layout: DIR:2.4, and the Debian below it, DIR:bookworm
# As root, with mmdebstrap and buildah; asks Debian's mirror; takes about a minute.
set -euo pipefail
[[ $# = 1 && ! -e $1 ]] || { sed -n 2,7p "$0" >&2; exit 2; }
mkdir -p "$(dirname "$1")"
place=$(mktemp -d "$1.XXXXXX")
# What buildah mounts is in a mount namespace that ends with it; should one stay, it is not gone into.
trap 'rm -rf --one-file-system "$place"' EXIT
cat >"$place/httpd" <<'F'
FROM scratch
ADD debian.tar /
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends apache2 libcap2-bin && \
    rm -rf /var/lib/apt/lists/* && setcap cap_net_bind_service=ep /usr/sbin/apache2
RUN echo 'key=s3cret' >/etc/secret
RUN rm /etc/secret
EXPOSE 80
CMD ["apache2ctl", "-DFOREGROUND"]
F
head -2 "$place/httpd" >"$place/debian"
export PLACE=$place BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
unshare --mount bash -euo pipefail <<'F'
cd "$PLACE"
mmdebstrap --quiet --variant=minbase bookworm debian.tar
b() { buildah --root "$PLACE/storage" --runroot "$PLACE/run" "$@"; }
for image in debian:bookworm httpd:2.4; do
  b bud --quiet --network host --layers --file "${image%:*}" --tag "$image" . >"$PLACE/log" 2>&1 || { cat "$PLACE/log" >&2; exit 1; }
  b push --quiet "$image" "oci:$PLACE/layout:${image#*:}"
done
F
mv -T "$place/layout" "$1"
