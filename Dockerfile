# The image of the server, in the layout that Dockerfiles and charts for MI expect:
#
#   FROM <this image>
#   COPY target/*.car ${WSO2_SERVER_HOME}/repository/deployment/server/carbonapps/
#
# Build:  docker build -t micro-integrator .
# Run:    docker run --rm -p 8290:8290 micro-integrator

FROM rust:1.95-slim-bookworm AS build
# AWS-LC, the cryptography of rustls, is C and assembler.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package mi-server && strip --strip-debug target/release/micro-integrator

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

COPY --chmod=0755 deployment/image/docker-entrypoint.sh ${HOME_DIR}/docker-entrypoint.sh
COPY --chmod=0755 deployment/image/micro-integrator.sh ${WSO2_SERVER_HOME}/bin/micro-integrator.sh
COPY --chmod=0644 deployment/deployment.toml ${WSO2_SERVER_HOME}/conf/deployment.toml
COPY --from=build --chmod=0755 /src/target/release/micro-integrator ${WSO2_SERVER_HOME}/bin/micro-integrator
COPY --chmod=0644 LICENSE ${WSO2_SERVER_HOME}/LICENSE

# The folders exist even when empty: `COPY x.car …/carbonapps` would otherwise make a file of that name. Group 0 may write
# what the owner may, so that the image runs under 802, 10802 and the random ids of OpenShift alike.
RUN cd ${WSO2_SERVER_HOME} \
    && mkdir -p repository/deployment/server/carbonapps repository/deployment/server/synapse-configs/default \
        repository/deployment/server/dataservices repository/resources/security repository/logs \
        registry conf/security lib dropins tmp ${HOME_DIR}/wso2-config-volume \
    && sed -i 's/^hot_deployment = true/hot_deployment = false/' conf/deployment.toml \
    && chown -R ${USER_ID}:0 ${HOME_DIR} \
    && chmod -R g=u ${HOME_DIR} \
    && chmod 0755 ${HOME_DIR}

USER ${USER_ID}
WORKDIR ${HOME_DIR}
# HTTP, HTTPS, management, probes and metrics.
EXPOSE 8290 8253 9164 9201
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/bin/sh", "-c", "exec \"$WSO2_SERVER_HOME/bin/micro-integrator\" probe"]
ENTRYPOINT ["/home/wso2carbon/docker-entrypoint.sh"]
