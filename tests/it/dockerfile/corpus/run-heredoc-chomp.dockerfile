FROM localhost/under-the-hood/base
RUN <<-EOF
	echo one >/out
		echo two >>/out
	EOF
