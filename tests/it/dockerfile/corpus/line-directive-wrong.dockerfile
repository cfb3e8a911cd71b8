# syntax=docker/dockerfile:1.4
# escape=x
FROM scratch
