# NanoScale itself in a container. Made for apps that run in containers of their own. Apps of the process runtime live
# in this container and die with its PID 1: every upgrade of the image takes them down until it has started again.
FROM node:26-bookworm-slim

RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates git tini util-linux \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/nanoscale
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY . .

# Inside, the loopback is the container's own: publish the ports with `-p 127.0.0.1:4000:4000` to keep them local.
ENV NANOSCALE_BIND=0.0.0.0
EXPOSE 4000 8080
VOLUME /var/lib/nanoscale

# Collects what daemonised children leave behind, and passes signals on.
ENTRYPOINT ["tini", "--", "./nanoscale"]
CMD ["start"]
