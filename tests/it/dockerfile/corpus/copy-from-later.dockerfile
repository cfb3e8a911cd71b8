FROM scratch AS one
COPY --from=two /x /x
FROM scratch AS two
COPY a.txt /x
