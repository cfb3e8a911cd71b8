FROM scratch
COPY << EOF /x
x
EOF
