ARG NAME=base
ARG IMAGE=localhost/under-the-hood/$NAME
FROM ${IMAGE}
RUN echo ok >/ok
