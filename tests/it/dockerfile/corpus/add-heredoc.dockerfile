FROM scratch
ADD <<EOF /x
hello
EOF
