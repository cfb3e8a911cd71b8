FROM localhost/under-the-hood/base
RUN mkdir -m 777 /w
USER 1000:1000
RUN id -u >/w/uid; id -g >/w/gid
