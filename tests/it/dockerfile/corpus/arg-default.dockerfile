FROM localhost/under-the-hood/base
ARG A=one
ARG B=${A}-two C
RUN echo "$A $B [$C]" >/out
ENV D=$B
