FROM scratch
COPY <<-EOF /etc/conf
	indented
		more
EOF
