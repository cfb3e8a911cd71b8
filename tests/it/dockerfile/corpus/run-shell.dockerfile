FROM localhost/under-the-hood/base
RUN echo "two  spaces" '$HOME' >/out && mkdir /d && touch /d/f
