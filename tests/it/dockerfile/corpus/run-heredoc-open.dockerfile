FROM localhost/under-the-hood/base
RUN <<EOF
echo one
EOF2
