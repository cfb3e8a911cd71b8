FROM scratch
COPY a.txt <<EOF
x
EOF
