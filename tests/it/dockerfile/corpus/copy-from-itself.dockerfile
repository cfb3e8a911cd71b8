FROM scratch AS one
COPY --from=one /x /x
