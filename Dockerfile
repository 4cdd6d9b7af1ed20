# The image of the reference service, services/billing.
#
#   docker build --build-arg VERSION=1.4.0 --build-arg COMMIT="$(git rev-parse HEAD)" --tag billing .
#
# A private npm registry, and an authority of one's own for TLS, come in as build secrets; no layer and no history keeps them:
#
#   --secret id=npmrc,src=$HOME/.npmrc --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt

# Pinned: the digest is what is built upon, the tag only says what it is. Node 20 has been out of support since April 2026. Another
# one is this line, or --build-arg NODE_IMAGE=…:
#   docker.io/library/node:22-alpine@sha256:0a7108bf6c7bf5de370ffb1a3ed6be93d405b43ff159f681a8d18c0e2bc2e402
#   docker.io/library/node:24-alpine, with the digest of the day
ARG NODE_IMAGE=docker.io/library/node:20-alpine@sha256:fb4cd12c85ee03686f6af5362a0b0d56d50c58a04632e6c0fb8363f609372293

FROM ${NODE_IMAGE} AS build
WORKDIR /build
# Before the sources: the packages are installed again only when their list has changed.
COPY services/billing/package.json services/billing/package-lock.json ./
# No package's own script runs: none needs to, and it would run with the secrets.
RUN --mount=type=secret,id=npmrc --mount=type=secret,id=ca \
    if [ -e /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    NPM_CONFIG_USERCONFIG=/run/secrets/npmrc npm ci --ignore-scripts --no-audit --no-fund
COPY services/billing/ ./
# What is left of node_modules is what `npm ci --omit=dev` would install, without fetching it a second time.
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
WORKDIR /app
# Everything is root's and the service is not root: it cannot change its own code. It writes no file, so the root file system can be
# read-only. What changes most rarely comes first.
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/migrations ./migrations
COPY --from=build /build/package.json ./
COPY --from=build /build/dist ./dist

# Last, because they differ in each build. Promotion reads commit and version from the labels; /api/health reports the variables.
ARG VERSION
ARG COMMIT
ARG CREATED
ARG SOURCE
LABEL org.opencontainers.image.title="billing" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
ENV NODE_ENV=production \
    PORT=3000 \
    APP_VERSION=${VERSION} \
    APP_COMMIT=${COMMIT}

# A number: where a cluster demands runAsNonRoot, a name is no proof.
USER 10001:10001
EXPOSE 3000
# By the service's own program: the image needs no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["node", "dist/healthcheck.js"]
# Node is process 1 and gets the stop signal itself. The base's entrypoint is a shell script that would only start it.
ENTRYPOINT []
CMD ["node", "dist/main.js"]
