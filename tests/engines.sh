#!/bin/bash
# Real containers for tests/it/interop.rs: one sleeping busybox in each engine, on
# this machine, everything under one directory.
#   engines.sh start NAME DIR   starts it; prints the pid of its first process, by the engine's own word
#   engines.sh change NAME DIR  runs the script $CHANGES in it, by the engine's own exec
#   engines.sh diff NAME DIR    what it has changed, by the engine's own word
#   engines.sh said NAME DIR    all that the engine says of it, as JSON (docker containerd podman lxc)
#   engines.sh limits NAME DIR  prints its limits, by the engine's own word, as JSON (docker containerd podman)
#   engines.sh stop NAME DIR    removes it, and what was started for it
#   engines.sh load NAME DIR FILE           while it is started: loads an archive of images
#   engines.sh image NAME DIR IMAGE CMD...  runs a command in a container of an image
#   engines.sh build NAME DIR IMAGE CONTEXT builds it from a Dockerfile (docker)
#   engines.sh save NAME DIR IMAGE FILE     saves an image as an archive
#   engines.sh serve NAME DIR   starts only the engine, in a network of its own; prints the pid that is in
#                               that network, then the variables by which its client finds it (docker containerd podman lxc)
#   engines.sh left NAME DIR    while it serves: its containers and images, by the engine's own word
#   engines.sh taken NAME DIR   while it serves: starts somebody else's container `box`, and says what is left;
#              untaken          removes it
#   engines.sh away NAME DIR    ends what `serve` has started
# With WIDE=1 it starts with a network, a published port, an image and limits where the engine can:
# Docker on its bridge in a network namespace of its own; containerd from the archive $ARCHIVE, and
# with a second container as a kubelet would label it.
# NAME: docker containerd podman podman-crun runc crun lxc nspawn bwrap
set -eu
export PATH=$PATH:/usr/sbin:/sbin
verb=$1 name=$2
mkdir -p "$3"
D=$(readlink -f "$3") N=uth-interop

rootfs() {
  [[ -x $D/rootfs/bin/busybox ]] && return
  mkdir -p "$D"/rootfs/{bin,sbin,usr/bin,dev,proc,sys,tmp,run,var,root,etc}
  cp "$(command -v busybox)" "$D/rootfs/bin/busybox"
  cp "$D/rootfs/bin/busybox" "$D/rootfs/usr/bin/" # systemd-nspawn wants a /usr
  local applet
  for applet in sh sleep id ps cat ls mount; do ln -sf /bin/busybox "$D/rootfs/bin/$applet"; done
  ln -sf /bin/busybox "$D/rootfs/sbin/init"
  echo '::sysinit:/bin/true' >"$D/rootfs/etc/inittab"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$D/rootfs/etc/passwd"
  echo 'root:x:0:' >"$D/rootfs/etc/group"
  echo 'ID=busybox' >"$D/rootfs/etc/os-release"
}
# Waits for a command to succeed.
until_true() { local i; for i in {1..150}; do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; "$@"; }
# A daemon in the background, its pid in a file.
daemon() { local log=$1; shift; setsid "$@" </dev/null >"$D/$log.log" 2>&1 & echo $! >"$D/$log.pid"; }
end_daemon() { local pid; pid=$(cat "$D/$1.pid"); kill "$pid" || return 0; while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done; }
# crun refuses a cgroup2 mount without controllers beside cgroup v1: hide it from it.
hidden() {
  if mountpoint -q /sys/fs/cgroup/unified; then unshare -m sh -c 'umount /sys/fs/cgroup/unified; exec "$@"' sh "$@"; else "$@"; fi
}

containerd_start() {
  mkdir -p "$D/containerd"
  cat >"$D/containerd.toml" <<T
version = 2
root = "$D/containerd/root"
state = "$D/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$D/containerd.sock"
T
  daemon containerd containerd --config "$D/containerd.toml" --log-level error
  until_true ctr -a "$D/containerd.sock" version
}
ctr() { command ctr -a "$D/containerd.sock" "$@"; }
docker() { command docker -H "unix://$D/docker.sock" "$@"; }
podman() { command podman --root "$D/podman/root" --runroot "$D/podman/run" --tmpdir "$D/podman/tmp" "$@"; }
# What docker, podman and containerd are asked for.
LIMITS=(--cpus 0.5 --memory 64m --pids-limit 20 --cpuset-cpus 0)
host_config='{"cpus": {{.HostConfig.NanoCpus}}e-9, "memory": {{.HostConfig.Memory}}, "tasks": {{.HostConfig.PidsLimit}}, "cpuset": "{{.HostConfig.CpusetCpus}}"}'
# The hard limits that podman asks for may not be raised everywhere: ask for less.
podman_run() {
  podman image exists localhost/bb:1 || tar -C "$D/rootfs" -c . | podman import -q - localhost/bb:1 >/dev/null
  local net=(--net none)
  [[ ! $WIDE ]] || net=(--net slirp4netns:port_handler=slirp4netns -p 127.0.0.1:18081:80 --cap-add SYS_TIME --cap-drop KILL)
  "$@" run -d "${net[@]}" --name $N "${LIMITS[@]}" --ulimit nofile=20000:20000 --ulimit nproc=30000:30000 localhost/bb:1 /bin/sleep 600 >/dev/null
  podman inspect -f '{{.State.Pid}}' $N
}
podman_exec() { if [[ $name = podman ]]; then podman exec $N "$@"; else hidden_crun exec $N "$@"; fi; }
hidden_crun() { hidden podman --root "$D/podman/root" --runroot "$D/podman/run" --tmpdir "$D/podman/tmp" --runtime crun "$@"; }
bundle() {
  mkdir -p "$D/bundle"
  rm -f "$D/bundle/config.json"
  (cd "$D/bundle" && runc spec)
  jq --arg root "$D/rootfs" '.root.path = $root | .process.terminal = false | .process.args = ["/bin/sleep", "600"]' \
    "$D/bundle/config.json" >"$D/config.json"
  mv "$D/config.json" "$D/bundle/config.json"
}

# A network of its own for an engine and whoever uses it, so that its bridges and packet rules are nobody
# else's; prints the pid of a process in there.
apart() {
  daemon net unshare --net sh -c 'ip link set lo up; exec sleep 3000'
  until_true sh -c "nsenter -t $(cat "$D/net.pid") -n ip -o link show lo up | grep -q UP"
  cat "$D/net.pid"
}
with_conf() { CONTAINERS_CONF=$D/containers.conf CONTAINERS_STORAGE_CONF=$D/storage.conf command podman "$@"; }
# Podman cleans up after its container in the background, and mounts its directory once more for that.
no_podman() { ! pgrep -f "podman.*$D/podman" >/dev/null; }

# Parent cgroups that engines leave behind: those that were not there before go with us.
parents() { local top; for top in /sys/fs/cgroup /sys/fs/cgroup/*/; do printf '%s\n' "${top%/}"/{docker,default,k8s.io,libpod_parent,lxc.pivot}; done; }
note_parents() { parents | while read -r at; do [[ -d $at ]] || echo "$at"; done >"$D/parents"; }
remove_parents() {
  [[ -e $D/parents ]] || return 0
  while read -r at; do
    [[ ! -d $at ]] || find "$at" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done <"$D/parents"
}
WIDE=${WIDE-}

# What an engine mounts for itself below its directory goes with it.
unmount() { awk -v d="$D/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r at; do umount -l "$at"; done; }

rootfs
[[ $verb != start ]] || note_parents
case "$verb $name" in
  "start docker")
    containerd_start
    bridge=(--bridge none --iptables=false) run=(--network none) alone=()
    if [[ $WIDE ]]; then
      bridge=() run=(-p 127.0.0.1:18080:80 --cap-add SYS_TIME --cap-drop NET_RAW)
      alone=(unshare --net sh -c 'ip link set lo up; exec "$@"' sh)
    fi
    daemon docker "${alone[@]}" dockerd --containerd "$D/containerd.sock" -H "unix://$D/docker.sock" --data-root "$D/docker/data" \
      --exec-root "$D/docker/run" --pidfile "$D/docker/pid" "${bridge[@]}"
    until_true docker version
    tar -C "$D/rootfs" -c . | docker import - bb:1 >/dev/null
    docker run -d "${run[@]}" --name $N "${LIMITS[@]}" bb:1 /bin/sleep 600 >/dev/null
    docker inspect -f '{{.State.Pid}}' $N ;;
  "change docker") docker exec $N /bin/sh -c "$CHANGES" ;;
  "diff docker") docker diff $N ;;
  "limits docker") docker inspect -f "$host_config" $N ;;
  "stop docker") docker rm -f $N >/dev/null; end_daemon docker; end_daemon containerd ;;
  "start containerd")
    containerd_start
    if [[ $WIDE ]]; then
      command ctr -a "$D/containerd.sock" image import "$ARCHIVE" >/dev/null
      ctr run -d --cpus 0.5 --memory-limit 67108864 docker.io/library/bb:1 $N /bin/sleep 600
      ctr -n k8s.io run -d --label io.kubernetes.pod.namespace=default --label io.kubernetes.pod.name=web-1 \
        --label io.kubernetes.container.name=httpd --rootfs "$D/rootfs" $N-pod /bin/sleep 600
    else
      ctr run -d --cpus 0.5 --memory-limit 67108864 --rootfs "$D/rootfs" $N /bin/sleep 600
    fi
    ctr task ls | awk -v name=$N '$1 == name {print $2}' ;;
  "limits containerd")
    ctr container info $N | jq '.Spec.linux.resources | {cpus: (.cpu.quota / .cpu.period), memory: .memory.limit}' ;;
  "said docker") docker inspect $N | jq '.[0]' ;;
  "said containerd") ctr container info $N ;;
  "said podman") podman inspect $N | jq '.[0]' ;;
  "said lxc")
    info() { lxc-info -P "$D/lxc" -n $N -H "$@"; }
    jq -n --arg pid "$(info -p)" --arg address "$(info -i)" --arg memory "$(lxc-cgroup -P "$D/lxc" -n $N memory.limit_in_bytes)" \
      --arg tasks "$(lxc-cgroup -P "$D/lxc" -n $N pids.max)" --arg root "$(info -c lxc.rootfs.path | sed 's/^[^/]*//')" \
      '{pid: $pid, address: $address, memory: $memory, tasks: $tasks, root: $root}' ;;
  "stop containerd")
    if ctr -n k8s.io container info $N-pod >/dev/null 2>&1; then
      ctr -n k8s.io task rm -f $N-pod >/dev/null 2>&1
      ctr -n k8s.io container rm $N-pod
    fi
    ctr task rm -f $N >/dev/null 2>&1
    ctr container rm $N
    end_daemon containerd ;;
  "start podman") podman_run podman --runtime runc ;;
  "change podman"|"change podman-crun") podman_exec /bin/sh -c "$CHANGES" ;;
  "diff podman"|"diff podman-crun") podman diff $N ;;
  "limits podman") podman inspect -f "$host_config" $N ;;
  "stop podman") podman rm -f -t 0 $N >/dev/null; until_true no_podman ;;
  "start podman-crun") LIMITS=(); podman_run hidden_crun ;;
  "stop podman-crun") hidden_crun rm -f -t 0 $N >/dev/null; until_true no_podman ;;
  "start runc") bundle; runc --root "$D/runc" run -d -b "$D/bundle" $N </dev/null >/dev/null 2>&1; runc --root "$D/runc" state $N | jq .pid ;;
  "stop runc") runc --root "$D/runc" delete -f $N ;;
  "start crun") bundle; hidden crun --root "$D/crun" run -d -b "$D/bundle" $N </dev/null >/dev/null 2>&1; crun --root "$D/crun" state $N | jq .pid ;;
  "stop crun") hidden crun --root "$D/crun" delete -f $N ;;
  "start lxc")
    printf 'lxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\n' >"$D/lxc.conf"
    [[ ! $WIDE ]] || cat >"$D/lxc.conf" <<T
lxc.net.0.type = veth
lxc.net.0.veth.pair = uthwide0
lxc.net.0.flags = up
lxc.net.0.ipv4.address = 10.77.0.2/24
lxc.init.cmd = /bin/sleep 600
lxc.apparmor.profile = unconfined
lxc.cgroup.memory.limit_in_bytes = 67108864
lxc.cgroup.pids.max = 20
T
    lxc-create -P "$D/lxc" -n $N -f "$D/lxc.conf" -t busybox >/dev/null 2>&1
    lxc-start -P "$D/lxc" -n $N
    lxc-info -P "$D/lxc" -n $N -pH ;;
  "stop lxc") lxc-stop -P "$D/lxc" -n $N -k; lxc-destroy -P "$D/lxc" -n $N >/dev/null ;;
  "start nspawn")
    daemon nspawn systemd-nspawn -q -D "$D/rootfs" -M $N --register=no --keep-unit /bin/sleep 600
    until_true pgrep -P "$(cat "$D/nspawn.pid")" -x sleep
    pgrep -P "$(cat "$D/nspawn.pid")" -x sleep ;;
  "stop nspawn") end_daemon nspawn ;;
  "start bwrap")
    bwrap --ro-bind "$D/rootfs" / --proc /proc --dev /dev --unshare-all --info-fd 3 /bin/sleep 600 3>"$D/bwrap.json" </dev/null >/dev/null 2>&1 &
    until_true jq -e '."child-pid"' "$D/bwrap.json"
    jq '."child-pid"' "$D/bwrap.json" ;;
  "build docker") DOCKER_BUILDKIT=0 docker build -q --network none -t "$4" "$5" >/dev/null ;;
  "load docker") docker load -q -i "$4" >/dev/null ;;
  "image docker") docker run --rm --network none "${@:4}" ;;
  "save docker") docker save -o "$5" "$4" ;;
  "load containerd") ctr image import "$4" >/dev/null ;;
  "image containerd") ctr run --rm "$4" $N-image "${@:5}" ;;
  "save containerd") ctr image export "$5" "$4" ;;
  "load podman") podman load -q -i "$4" >/dev/null ;;
  "image podman") podman --runtime runc run --rm --net none --ulimit nofile=20000:20000 --ulimit nproc=30000:30000 "${@:4}" ;;
  "save podman") podman save -q --format "${6:-docker-archive}" -o "$5" "$4" ;;
  "serve docker")
    apart
    containerd_start
    daemon docker nsenter -t "$(cat "$D/net.pid")" -n dockerd --containerd "$D/containerd.sock" -H "unix://$D/docker.sock" --data-root "$D/docker/data" \
      --exec-root "$D/docker/run" --pidfile "$D/docker/pid"
    until_true docker version
    echo "DOCKER_HOST=unix://$D/docker.sock" ;;
  "serve containerd") apart; containerd_start; echo "CONTAINERD_ADDRESS=$D/containerd.sock" ;;
  "serve podman")
    apart
    cat >"$D/containers.conf" <<T
[engine]
runtime = "runc"
static_dir = "$D/podman/static"
tmp_dir = "$D/podman/tmp"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
T
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$D/podman/root" "$D/podman/run" >"$D/storage.conf"
    echo "CONTAINERS_CONF=$D/containers.conf"
    echo "CONTAINERS_STORAGE_CONF=$D/storage.conf" ;;
  "serve lxc") apart ;;
  # Somebody else's container of the name that lessons use.
  "taken docker")
    tar -C "$D/rootfs" -c . | docker import - theirs:1 >/dev/null
    docker run -d --name box theirs:1 /bin/sleep 600 >/dev/null
    docker ps -aq; docker images -q ;;
  "taken podman")
    tar -C "$D/rootfs" -c . | with_conf import -q - localhost/theirs:1 >/dev/null
    with_conf run -d --net none --name box localhost/theirs:1 /bin/sleep 600 >/dev/null
    with_conf ps -aq; with_conf images -q ;;
  "taken containerd") ctr run -d --rootfs "$D/rootfs" box /bin/sleep 600; ctr containers ls -q; ctr image ls -q ;;
  "taken lxc")
    nsenter -t "$(cat "$D/net.pid")" -n lxc-start -n box -f /usr/share/lxc/config/common.conf -s "lxc.rootfs.path=dir:$D/rootfs" \
      -s lxc.net.0.type=empty -- /bin/sleep 600
    nsenter -t "$(cat "$D/net.pid")" -n lxc-ls --active -1 ;;
  "untaken docker") docker rm -f box; docker rmi theirs:1 ;;
  "untaken podman") with_conf rm -f -t 0 box; with_conf rmi localhost/theirs:1 ;;
  "untaken containerd") ctr task rm -f box; ctr container rm box ;;
  "untaken lxc") nsenter -t "$(cat "$D/net.pid")" -n lxc-stop -k -n box ;;
  "left docker") docker ps -aq; docker images -q ;;
  "left containerd") ctr containers ls -q; ctr image ls -q ;;
  "left podman") with_conf ps -aq; with_conf images -q ;;
  "left lxc") nsenter -t "$(cat "$D/net.pid")" -n lxc-ls --active -1 ;; # its sockets are of that network
  "away docker") end_daemon docker; end_daemon containerd; end_daemon net ;;
  "away containerd") end_daemon containerd; end_daemon net ;;
  "away podman"|"away lxc") end_daemon net ;;
  "stop bwrap") kill -KILL "$(jq '."child-pid"' "$D/bwrap.json")" ;;
  *) sed -n '2,21p' "$0" >&2; exit 2 ;;
esac
[[ $verb != stop && $verb != away ]] || { unmount; remove_parents; }
