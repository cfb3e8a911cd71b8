FROM scratch AS src
COPY dir /dir
COPY a.txt /
FROM scratch
COPY --from=src /dir/one /a.txt /got/
COPY --from=SRC dir/sub /sub
