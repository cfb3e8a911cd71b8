FROM localhost/under-the-hood/base
RUN mkdir /d && echo x >/d/x && echo y >/d/y
RUN rm /d/x && rm -r /d && mkdir /d
