FROM localhost/under-the-hood/base
SHELL ["/bin/sh", "-e", "-c"]
RUN echo $- >/out
CMD echo hi
