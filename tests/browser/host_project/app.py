"""A host product of its own making, with everything that could get in the way of an SDK inside it.

It has Flask-Login, CSRFProtect, its own Flask-SQLAlchemy and Alembic, its own folders named admin and static, and a
strict policy. Run as ``python app.py PORT``; NUDGE_DATABASE and NUDGE_DAYS (a file with days to be ahead) say where.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import admin
from flask import Flask, redirect, render_template, request
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from models import Base, Note
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from nudge_sdk import NudgeClient
from nudge_sdk.admin import Actor, create_admin
from nudge_sdk.hosts.flask import Nudges, Who

DATABASE = os.environ["NUDGE_DATABASE"]
DAYS = Path(os.environ["NUDGE_DAYS"])
DAY = 86_400_000_000
COMPANIES = {"ada": "acme", "bob": "bolt", "pia": "ours"}


class User(UserMixin):
    def __init__(self, name):
        self.id = name


def clock():
    return time.time_ns() // 1000 + int(float(DAYS.read_text()) * DAY)


app = Flask(__name__)
app.config.update(SECRET_KEY="the host's own secret", SQLALCHEMY_DATABASE_URI=f"sqlite:///{DATABASE}")
db = SQLAlchemy(app, model_class=Base)
CSRFProtect(app)
logins = LoginManager(app)
logins.login_view = "log_in"
logins.user_loader(lambda name: User(name) if name in COMPANIES else None)

client = NudgeClient(f"sqlite:///{DATABASE}", clock=clock)


def who():
    if not current_user.is_authenticated:
        return None
    return Who(current_user.id, COMPANIES[current_user.id], account_traits={"employees": 12, "plan": "free"})


nudges = Nudges(app, client, identify=who, actions={"open_chat": "/chat", "ask_admin": "/ask"})


@app.after_request
def be_strict(answer):
    answer.headers["Content-Security-Policy"] = "default-src 'self'"
    return answer


@app.route("/log-in", methods=["GET", "POST"])
def log_in():
    if request.method == "POST":
        login_user(User(request.form["name"]))
        return redirect("/")
    return render_template("log_in.html")


@app.post("/log-out")
def log_out():
    logout_user()
    return redirect("/log-in")


@app.get("/")
@login_required
def home():
    return render_template("page.html", placement="dashboard", who_made_it=admin.WHOSE)


@app.route("/do/<event>", methods=["GET", "POST"])
@login_required
def do(event):
    if request.method == "POST":
        db.session.add(Note(text=event))
        db.session.commit()
        nudges.track(event)
    return render_template("page.html", placement="after_action", event=event)


@app.route("/<any(contacts, automations, campaigns, billing, chat, ask, help):page>", defaults={"rest": ""})
@app.route("/<any(contacts, automations, campaigns, billing, chat, ask, help):page>/<path:rest>")
@login_required
def other(page, rest):
    return render_template("page.html", placement="nowhere", event=page)


def actor(asked):
    """Say who opens the admin: whoever is logged in to the host, if they are one of us."""
    session = app.session_interface.open_session(app, asked)
    return Actor("pia", "publisher") if session and session.get("_user_id") == "pia" else redirect("/log-in")


app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/nudges": create_admin(client, authenticate=actor)})

if __name__ == "__main__":
    with app.app_context():
        db.create_all()
    server = make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True)
    print(server.port, flush=True)
    server.serve_forever()
