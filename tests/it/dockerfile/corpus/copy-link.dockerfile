FROM scratch
COPY --link a.txt /
COPY --link=false a.txt /
