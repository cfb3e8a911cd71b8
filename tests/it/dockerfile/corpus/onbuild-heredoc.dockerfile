FROM scratch
ONBUILD RUN <<EOF
echo hi
EOF
