FROM scratch
ADD a.txt git@github.com:moby/buildkit.git#v0.10 /src
