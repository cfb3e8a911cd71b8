FROM localhost/under-the-hood/base
ARG A=arg
ENV A=env
ARG A=again
RUN echo $A >/out
