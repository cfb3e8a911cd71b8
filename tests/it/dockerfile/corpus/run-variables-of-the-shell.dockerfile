FROM localhost/under-the-hood/base
ENV A=env
ARG B=arg
RUN A2=$A; echo "$A2 $B ${C:-none}" >/out
