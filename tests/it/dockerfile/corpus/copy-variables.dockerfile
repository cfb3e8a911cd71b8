FROM scratch
ARG D=dir
ENV F=one
COPY $D/${F} /${D}-${F}
