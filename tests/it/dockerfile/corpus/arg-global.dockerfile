ARG V=global
FROM localhost/under-the-hood/base
RUN echo "[$V]" >/before
ARG V
RUN echo "[$V]" >/after
