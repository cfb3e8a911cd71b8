  # escape=`
	FROM scratch
   COPY `

	a.txt /x
#end