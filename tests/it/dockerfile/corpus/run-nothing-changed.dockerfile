FROM localhost/under-the-hood/base
RUN true
RUN echo x >/x
