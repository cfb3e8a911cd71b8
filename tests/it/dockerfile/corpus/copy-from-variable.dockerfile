ARG SRC=one
FROM scratch AS one
FROM scratch
COPY --from=$SRC /x /x
