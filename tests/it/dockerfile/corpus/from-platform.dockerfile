FROM --platform=$BUILDPLATFORM alpine:3 AS tools
FROM --platform=linux/arm64 scratch
