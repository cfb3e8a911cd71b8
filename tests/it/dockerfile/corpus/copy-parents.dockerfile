FROM scratch
COPY --parents a/b /x/
