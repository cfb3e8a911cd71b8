FROM scratch
COPY --from=localhost/under-the-hood/base /etc/os-release /os-release
