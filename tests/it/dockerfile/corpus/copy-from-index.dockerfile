FROM scratch
COPY a.txt /
FROM scratch
COPY --from=0 /a.txt /b
