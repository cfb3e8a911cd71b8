FROM scratch
ENV X=value
COPY <<one <<"two" /d/
$X is "expanded" \$X
one
$X is not
two
