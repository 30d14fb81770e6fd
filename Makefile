# Thin names over the npm scripts in package.json, so that `make run` and `make test` are all that
# a new machine with git, make and npm needs: what is missing in node_modules is installed first.

.DEFAULT_GOAL := help
IMAGE ?= product-service

# npm writes this file last, so it is there only after a whole install.
INSTALLED := node_modules/.package-lock.json

.PHONY: help deps build run dev test test-race test-durability test-kill test-fuzz test-coverage benchmark fmt lint \
	clean sbom load-test perf-test install-tools docker-build docker-run docker-up docker-down docker-logs

help: ## List the targets (this text)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(INSTALLED): package-lock.json
	npm ci
	@touch $@

deps: $(INSTALLED) ## Install the dependencies exactly as locked, if they are not

build: $(INSTALLED) ## Check the types (Node runs the TypeScript itself, so nothing is generated)
	npm run typecheck

run: $(INSTALLED) ## Start the service on http://localhost:8080 with data under ./data
	npm start

dev: $(INSTALLED) ## Start the service and start it anew whenever a source file changes
	npm run dev

test: $(INSTALLED) ## Run all tests, with the short runs of the race and model suites
	npm test

test-race: $(INSTALLED) ## Run the race and model suites at full length (minutes)
	npm run test:race

test-durability: $(INSTALLED) ## Run SEEDS=600 histories on the simulated disk from FIRST_SEED=1 on
	npm run test:durability

test-kill: $(INSTALLED) ## Kill the service under load ROUNDS times (default 500) and look for what is lost
	npm run test:kill

test-fuzz: $(INSTALLED) ## Send REQUESTS=20000 random requests of SEED to a service and look at every answer
	npm run test:fuzz

test-coverage: $(INSTALLED) ## Run all tests and show which lines they reach
	npm run test:coverage

benchmark: $(INSTALLED) ## Run all benches and write bench/RESULTS.md
	npm run bench

fmt: $(INSTALLED) ## Format the sources and apply the linter's safe fixes
	npm run fmt

lint: $(INSTALLED) ## Check format and lint rules; a warning is an error
	npm run lint

clean: ## Remove what tests and profilers left behind; never touches ./data
	npm run clean

sbom: $(INSTALLED) ## Write what the service is made of to sbom.json (CycloneDX)
	npm run --silent sbom > sbom.json

load-test: $(INSTALLED) ## Send 1,000 events to the running service and say what came back
	npm run load-test

perf-test: $(INSTALLED) ## Run the HTTP bench against the running service
	npm run perf-test

install-tools: $(INSTALLED) ## Install the development tools and build the test runner's plugins
	npm run tap:build

docker-build: ## Build the image (IMAGE=product-service)
	docker build --tag $(IMAGE) .

docker-run: ## Run the image in the foreground on http://localhost:8080, data in a named volume
	docker run --rm --init --stop-timeout 30 --publish 127.0.0.1:8080:8080 --volume product-service-data:/data $(IMAGE)

docker-up: ## Build and start with compose, and wait until the service is healthy
	docker compose up --build --detach --wait

docker-down: ## Stop what docker-up started; the data volume stays
	docker compose down

docker-logs: ## Follow the logs of what docker-up started
	docker compose logs --follow
