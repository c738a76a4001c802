# NanoScale itself in a container. Use it with the docker runtime: with the process runtime, apps are children of this
# container's PID 1 and die with it, so every upgrade of the container would take all apps down.
FROM node:26-bookworm-slim

RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates git tini util-linux \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/nanoscale
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY . .

# Inside, the loopback is the container's own: publish the ports with `-p 127.0.0.1:4000:4000` to keep them local.
ENV NANOSCALE_BIND=0.0.0.0 \
    NANOSCALE_RUNTIME=docker
EXPOSE 4000 8080
VOLUME /var/lib/nanoscale

# Collects what daemonised children leave behind, and passes signals on.
ENTRYPOINT ["tini", "--", "./nanoscale"]
CMD ["start"]
