FROM localhost/under-the-hood/base
RUN mkdir /m && cd /m && echo f >f && chmod 4750 f && ln f hard && ln -s f soft && ln -s /nowhere dangling && mkdir -m 1777 t
