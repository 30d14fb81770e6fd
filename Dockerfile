# The service's image: what it needs to run, and nothing that only builds or tests need.
# test/docker/image.test.ts carries out these instructions without an engine.

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 DATA_DIR=/data
# Whom the port is published to decides who may use it, until JWT_SECRET, JWT_PUBLIC_KEY or JWKS_URL is
# set: then everybody needs a token, whatever this says.
ENV ALLOW_ANONYMOUS=true
# Store and rings in huge pages where the machine has them: see ARCHITECTURE.md.
ENV GLIBC_TUNABLES=glibc.malloc.hugetlb=1
# What is compiled once need not be at every start. Node looks there for the user that it runs as.
ENV NODE_COMPILE_CACHE=/app/compiled
# 1000 is the image's user "node". A new volume takes over the folder's owner.
RUN install -d -o 1000 -g 1000 "$DATA_DIR" "$NODE_COMPILE_CACHE"
COPY --from=dependencies /app/node_modules ./node_modules
COPY LICENSE package.json ./
COPY src ./src
COPY workers ./workers
USER node
# A first start, on a folder of its own, fills it. Where the processor is not like the builder's, V8 compiles as ever.
RUN first=$(mktemp -d) \
  && { DATA_DIR=$first/data PORT=0 node --disable-sigusr1 src/main.ts > $first/log & } \
  && until grep -q 'ready on' $first/log; do kill -0 $! && sleep 0.1 || exit 1; done \
  && kill $! && wait $! && rm -r $first
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# Healthy means ready for traffic. Replaying a long log may take a while: that is no failure yet.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5m --retries=3 \
  CMD ["node", "-e", "require('node:http').get({ host: '127.0.0.1', port: process.env.PORT, path: '/readyz' }, (reply) => process.exit(reply.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# The exec form: the signal reaches Node itself, not a shell.
CMD ["node", "--disable-sigusr1", "src/main.ts"]
