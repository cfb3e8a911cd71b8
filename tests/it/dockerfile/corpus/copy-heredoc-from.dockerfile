FROM scratch AS a
FROM scratch
COPY --from=a <<EOF /x
x
EOF
