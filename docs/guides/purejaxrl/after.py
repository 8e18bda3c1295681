"""PPO on CartPole in the manner of PureJaxRL, logged with jaxlog."""

from typing import Any, NamedTuple

import flax.linen as nn
import gymnax
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState
from gymnax.wrappers import LogWrapper

import jaxlog


class ActorCritic(nn.Module):
    """A network for the action's logits, and one for the state's value."""

    action_dim: int

    @nn.compact
    def __call__(self, obs):
        """Return the logits and the value."""
        actor = nn.tanh(nn.Dense(64)(nn.tanh(nn.Dense(64)(obs))))
        critic = nn.tanh(nn.Dense(64)(nn.tanh(nn.Dense(64)(obs))))
        return nn.Dense(self.action_dim)(actor), nn.Dense(1)(critic)[..., 0]


class Transition(NamedTuple):
    """One step of all environments."""

    obs: Any
    action: Any
    log_prob: Any
    value: Any
    reward: Any
    done: Any
    info: Any


def log_prob_of(logits, action):
    """Return the log-probability of each action."""
    return jnp.take_along_axis(nn.log_softmax(logits), action[..., None], axis=-1)[..., 0]


def make_train(config, logger):
    """Return `train(rng)`, to be jitted and vmapped."""
    num_updates = config["TOTAL_TIMESTEPS"] // (config["NUM_STEPS"] * config["NUM_ENVS"])
    env, env_params = gymnax.make(config["ENV_NAME"])
    env = LogWrapper(env)

    def train(rng):
        # INIT NETWORK AND ENVIRONMENTS
        rng, net_rng, reset_rng = jax.random.split(rng, 3)
        reset_rng = jax.random.split(reset_rng, config["NUM_ENVS"])
        obs, env_state = jax.vmap(env.reset, in_axes=(0, None))(reset_rng, env_params)
        network = ActorCritic(env.num_actions)
        tx = optax.chain(
            optax.clip_by_global_norm(config["MAX_GRAD_NORM"]), optax.adam(config["LR"])
        )
        train_state = TrainState.create(
            apply_fn=network.apply, params=network.init(net_rng, obs), tx=tx
        )

        def _update_step(runner_state, update):
            # COLLECT TRAJECTORIES
            def _env_step(runner_state, _):
                train_state, env_state, last_obs, rng = runner_state
                rng, action_rng, step_rng = jax.random.split(rng, 3)
                logits, value = network.apply(train_state.params, last_obs)
                action = jax.random.categorical(action_rng, logits)
                obs, env_state, reward, terminated, truncated, info = jax.vmap(
                    env.step, in_axes=(0, 0, 0, None)
                )(jax.random.split(step_rng, config["NUM_ENVS"]), env_state, action, env_params)
                log_prob, done = log_prob_of(logits, action), terminated | truncated
                transition = Transition(last_obs, action, log_prob, value, reward, done, info)
                return (train_state, env_state, obs, rng), transition

            runner_state, traj_batch = jax.lax.scan(
                _env_step, runner_state, None, config["NUM_STEPS"]
            )

            # ESTIMATE ADVANTAGES
            train_state, env_state, last_obs, rng = runner_state
            _, last_val = network.apply(train_state.params, last_obs)

            def _get_advantage(carry, transition):
                gae, next_value = carry
                discount = config["GAMMA"] * (1 - transition.done)
                delta = transition.reward + discount * next_value - transition.value
                gae = delta + discount * config["GAE_LAMBDA"] * gae
                return (gae, transition.value), gae

            _, advantages = jax.lax.scan(
                _get_advantage, (jnp.zeros_like(last_val), last_val), traj_batch, reverse=True
            )
            targets = advantages + traj_batch.value

            # UPDATE NETWORK
            def _loss_fn(params, traj_batch, gae, targets):
                logits, value = network.apply(params, traj_batch.obs)
                value_loss = jnp.square(value - targets).mean()
                ratio = jnp.exp(log_prob_of(logits, traj_batch.action) - traj_batch.log_prob)
                clipped = jnp.clip(ratio, 1 - config["CLIP_EPS"], 1 + config["CLIP_EPS"])
                gae = (gae - gae.mean()) / (gae.std() + 1e-8)
                actor_loss = -jnp.minimum(ratio * gae, clipped * gae).mean()
                entropy = -(nn.softmax(logits) * nn.log_softmax(logits)).sum(-1).mean()
                total = actor_loss + config["VF_COEF"] * value_loss - config["ENT_COEF"] * entropy
                return total, (value_loss, actor_loss, entropy)

            def _update_minibatch(train_state, minibatch):
                grad_fn = jax.value_and_grad(_loss_fn, has_aux=True)
                total_loss, grads = grad_fn(train_state.params, *minibatch)
                return train_state.apply_gradients(grads=grads), total_loss

            def _update_epoch(train_state, rng):
                permutation = jax.random.permutation(rng, targets.size)
                minibatches = jax.tree.map(
                    lambda x: x.reshape(targets.size, *x.shape[2:])[permutation].reshape(
                        config["NUM_MINIBATCHES"], -1, *x.shape[2:]
                    ),
                    (traj_batch, advantages, targets),
                )
                return jax.lax.scan(_update_minibatch, train_state, minibatches)

            rng, epoch_rng = jax.random.split(rng)
            train_state, loss_info = jax.lax.scan(
                _update_epoch, train_state, jax.random.split(epoch_rng, config["UPDATE_EPOCHS"])
            )

            # LOG
            metrics, finished = jaxlog.from_info(traj_batch.info)
            _, (value_loss, policy_loss, entropy) = jax.tree.map(jnp.mean, loss_info)
            metrics |= {"value_loss": value_loss, "policy_loss": policy_loss, "entropy": entropy}
            jaxlog.batch_step(logger, update, metrics, where=finished)
            return (train_state, env_state, last_obs, rng), None

        runner_state = (train_state, env_state, obs, rng)
        runner_state, _ = jax.lax.scan(_update_step, runner_state, jnp.arange(num_updates))
        return {"runner_state": runner_state}

    return train


CONFIG = {
    "ENV_NAME": "CartPole-v1",
    "TOTAL_TIMESTEPS": 300_000,
    "NUM_ENVS": 16,
    "NUM_STEPS": 128,
    "UPDATE_EPOCHS": 4,
    "NUM_MINIBATCHES": 4,
    "LR": 1e-3,
    "GAMMA": 0.99,
    "GAE_LAMBDA": 0.95,
    "CLIP_EPS": 0.2,
    "ENT_COEF": 0.01,
    "VF_COEF": 0.5,
    "MAX_GRAD_NORM": 0.5,
}

if __name__ == "__main__":
    rngs = jax.random.split(jax.random.PRNGKey(30), 4)
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}, {"kind": "console"}]})
    with logger.open("runs/purejaxrl", config=CONFIG):
        out = jax.block_until_ready(jax.jit(jax.vmap(make_train(CONFIG, logger)))(rngs))
