FROM localhost/under-the-hood/base
RUN echo one >/out && \
    # a comment within
  echo two >>/out && \

    echo three >>/out   \
&& true
