# The image of the server, in the layout that Dockerfiles and charts for MI expect:
#
#   FROM <this image>
#   COPY target/*.car ${WSO2_SERVER_HOME}/repository/deployment/server/carbonapps/
#
# Build:  docker build -t micro-integrator .
# Run:    docker run --rm -p 8290:8290 micro-integrator

FROM rust:1.95-slim-bookworm AS build
ARG WSO2_SERVER_VERSION=4.4.0
# AWS-LC, the cryptography of rustls, is C and assembler.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --package mi-server \
    && sh deployment/image/layout.sh . target/dist/micro-integrator /out ${WSO2_SERVER_VERSION}

FROM debian:bookworm-slim
ARG WSO2_SERVER_VERSION=4.4.0
# 10802 since MI 4.4; images of older releases ran as 802.
ARG USER_ID=10802
ARG GROUP_ID=10802
ARG HOME_DIR=/home/wso2carbon

ENV WORKING_DIRECTORY=${HOME_DIR} \
    WSO2_SERVER_HOME=${HOME_DIR}/wso2mi-${WSO2_SERVER_VERSION}
ENV CARBON_HOME=${WSO2_SERVER_HOME}

# nc and curl are what probes of existing charts and people at a shell reach for.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl netcat-openbsd tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid ${GROUP_ID} wso2 \
    && useradd --system --create-home --home-dir ${HOME_DIR} --no-log-init --uid ${USER_ID} --gid wso2 wso2carbon

# Modes come from the layout: changed here, they would put every file into the image a second time.
COPY --from=build --chown=${USER_ID}:0 /out/ ${HOME_DIR}/
RUN chown ${USER_ID}:0 ${HOME_DIR} && chmod 0775 ${HOME_DIR}

USER ${USER_ID}
WORKDIR ${HOME_DIR}
# HTTP, HTTPS, management, probes and metrics.
EXPOSE 8290 8253 9164 9201
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/bin/sh", "-c", "exec \"$WSO2_SERVER_HOME/bin/micro-integrator\" probe"]
ENTRYPOINT ["/home/wso2carbon/docker-entrypoint.sh"]
