FROM scratch
ADD --unpack=false data.tar /
